output "kek_name" {
  description = "`[key_table] kek_name`, with `kek = \"aws-kms\"`."
  value       = aws_kms_alias.this.name
}

output "endpoint" {
  description = "Host and port for `[key_table] url`."
  value       = aws_db_instance.this.endpoint
}

output "password_secret_arn" {
  description = "Secret of the Secrets Manager that holds the password of `indelible`."
  value       = aws_db_instance.this.master_user_secret[0].secret_arn
}
