"""Order, policy, wiring, environment: which stage follows which, and what people type and see."""
