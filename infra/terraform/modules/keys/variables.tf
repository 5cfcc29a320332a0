variable "alias" {
  description = "Name of the key, without `alias/`."
  type        = string
}

variable "description" {
  description = "What the key encrypts."
  type        = string
}

variable "region" {
  description = "Region of the bucket; the key works through S3 of this region only."
  type        = string
}

variable "administrators" {
  description = "ARNs that manage the key and cannot use it. Name the break-glass principal too: it applies this module."
  type        = list(string)

  validation {
    condition     = length(var.administrators) > 0
    error_message = "A key without an administrator can never be managed again."
  }
}

variable "writers" {
  description = "ARNs that may encrypt through S3."
  type        = list(string)
}

variable "readers" {
  description = "ARNs that may decrypt through S3."
  type        = list(string)
}

variable "tags" {
  description = "Tags of the key."
  type        = map(string)
  default     = {}
}
