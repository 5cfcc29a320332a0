output "store_uri" {
  description = "`[store] uri`."
  value       = module.evidence_bucket.uri
}

output "landing_uri" {
  description = "Base of `[landing.uris]`."
  value       = module.landing_bucket.uri
}

output "role_arns" {
  description = "Role name -> ARN, for each process's credentials."
  value       = local.roles
}

output "key_table" {
  description = "`[key_table]`: kek_name, host and port, and where the password is."
  value = {
    kek_name            = module.key_table.kek_name
    endpoint            = module.key_table.endpoint
    password_secret_arn = module.key_table.password_secret_arn
  }
}
