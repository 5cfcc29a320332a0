output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "uri" {
  description = "What goes into `[store] uri` of indelible.toml."
  value       = "s3://${aws_s3_bucket.this.id}"
}
