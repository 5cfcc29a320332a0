output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "uri" {
  description = "Base of the URIs in `[landing.uris]` of indelible.toml."
  value       = "s3://${aws_s3_bucket.this.id}"
}
