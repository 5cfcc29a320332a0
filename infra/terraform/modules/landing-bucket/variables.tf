variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts every drop."
  type        = string
}

variable "expire_days" {
  description = "Days after which a raw drop goes; long enough that every drop was delivered and looked at."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
}
