# A whole deployment on AWS: copy this folder, set the variables, keep the state where only the break-glass
# principal gets at it.

provider "aws" {
  region = var.region
}

locals {
  roles = module.roles.arns
}

module "roles" {
  source = "../../modules/roles"

  name        = var.name
  store_arn   = "arn:aws:s3:::${var.name}-evidence"
  landing_arn = "arn:aws:s3:::${var.name}-landing"
  trusted     = var.trusted
}

module "evidence_key" {
  source = "../../modules/keys"

  alias          = "${var.name}-evidence"
  description    = "Sealed evidence"
  region         = var.region
  administrators = [var.break_glass_arn, local.roles["key-administrator"]]
  writers        = [for role in ["deliverer", "sequencer", "publisher", "examiner", "hold-officer"] : local.roles[role]]
  readers        = [for role in ["deliverer", "sequencer", "publisher", "analyst", "auditor", "examiner", "hold-officer"] : local.roles[role]]
}

module "landing_key" {
  source = "../../modules/keys"

  alias          = "${var.name}-landing"
  description    = "Raw drops"
  region         = var.region
  administrators = [var.break_glass_arn, local.roles["key-administrator"]]
  writers        = [local.roles["collector"]]
  readers        = [for role in ["deliverer", "examiner"] : local.roles[role]]
}

module "evidence_bucket" {
  source = "../../modules/evidence-bucket"

  bucket             = "${var.name}-evidence"
  kms_key_arn        = module.evidence_key.arn
  break_glass_arn    = var.break_glass_arn
  max_retention_days = var.max_retention_days
}

module "landing_bucket" {
  source = "../../modules/landing-bucket"

  bucket      = "${var.name}-landing"
  kms_key_arn = module.landing_key.arn
}

module "key_table" {
  source = "../../modules/key-table"

  name               = "${var.name}-key-table"
  administrators     = [var.break_glass_arn, local.roles["key-administrator"]]
  users              = [local.roles["deliverer"]]
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
}
