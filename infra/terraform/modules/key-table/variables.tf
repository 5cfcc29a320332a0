variable "name" {
  description = "Name of the database server, and of the key's alias."
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

variable "users" {
  description = "ARNs that wrap and unwrap: who delivers. The sequencer reads commitments and needs no key."
  type        = list(string)
}

variable "subnet_ids" {
  description = "Private subnets of the database server, in two zones at least."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups that admit deliverers and the sequencer, and nobody else, to port 5432."
  type        = list(string)
}

variable "instance_class" {
  description = "Size of the database server; the table has a row a person and month."
  type        = string
  default     = "db.t4g.small"
}

variable "backup_days" {
  description = "`[key_table] backup_days`: a destroyed key lives on in the server's backups for so long."
  type        = number
  default     = 30

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "RDS keeps backups for 1 to 35 days."
  }
}

variable "tags" {
  description = "Tags of key and server."
  type        = map(string)
  default     = {}
}
