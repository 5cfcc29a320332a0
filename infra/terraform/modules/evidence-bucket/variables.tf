variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts every object."
  type        = string
}

variable "break_glass_arn" {
  description = "The only principal that may change the bucket's configuration: the one that applies this module."
  type        = string
}

variable "default_retention_days" {
  description = "COMPLIANCE retention of what is written without one (only the pointer `checkpoint`)."
  type        = number
  default     = 1
}

variable "max_retention_days" {
  description = "No lock may end later than this many days from now: a COMPLIANCE lock cannot be taken back."
  type        = number

  validation {
    condition     = var.max_retention_days > var.default_retention_days && var.max_retention_days <= 36500
    error_message = "The maximum must be above the default retention and at most a hundred years."
  }
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  default     = {}
}
