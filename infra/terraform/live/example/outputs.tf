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
