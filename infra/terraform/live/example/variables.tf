variable "name" {
  description = "Prefix of every name; buckets need one that nobody else in the world has."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "trusted" {
  description = "Role name -> ARNs that may take it."
  type        = map(list(string))
}

variable "break_glass_arn" {
  description = "The principal that applies this configuration; used with two people present, and every use alarms."
  type        = string
}

variable "max_retention_days" {
  description = "Longest lock that any source's contract asks, plus `extra_log_days` of the settings."
  type        = number
  default     = 4000
}

variable "subnet_ids" {
  description = "Private subnets of the key table's database server, in two zones at least."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups that admit deliverers and the sequencer, and nobody else, to port 5432."
  type        = list(string)
}
