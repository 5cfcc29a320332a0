"""The domain and its adapters: what each stage does. No order of execution, and no Prefect, in here."""
