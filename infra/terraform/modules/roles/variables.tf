variable "name" {
  description = "Prefix of the roles' names."
  type        = string
}

variable "store_arn" {
  description = "ARN of the evidence bucket."
  type        = string
}

variable "landing_arn" {
  description = "ARN of the landing bucket."
  type        = string
}

variable "trusted" {
  description = "Role name -> ARNs of the principals that may take it. Each role needs its own; nobody should be in two."
  type        = map(list(string))

  validation {
    condition     = length(distinct(flatten(values(var.trusted)))) == length(flatten(values(var.trusted)))
    error_message = "A principal may take one role only: duties are separated."
  }
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary, or null."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of every role."
  type        = map(string)
  default     = {}
}
