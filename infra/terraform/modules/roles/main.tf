# One IAM role a row of infra/docs/roles.md. The documents in policies/ are written by write_policies.py
# from the same declaration that the embedded server uses, so what is tested there is what is deployed here.

locals {
  documents = fileset("${path.module}/policies", "*.json")
  roles     = toset([for document in local.documents : trimsuffix(document, ".json")])
}

data "aws_iam_policy_document" "trust" {
  for_each = local.roles

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = var.trusted[each.key]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${var.name}-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

# Inline and exclusive: a policy that somebody attaches by hand is a difference in the next plan.
resource "aws_iam_role_policy" "s3" {
  for_each = local.roles

  name = "s3"
  role = aws_iam_role.this[each.key].id
  policy = templatefile("${path.module}/policies/${each.key}.json", {
    store   = var.store_arn
    landing = var.landing_arn
  })
}

resource "aws_iam_role_policies_exclusive" "this" {
  for_each = local.roles

  role_name    = aws_iam_role.this[each.key].name
  policy_names = [aws_iam_role_policy.s3[each.key].name]
}

resource "aws_iam_role_policy_attachments_exclusive" "this" {
  for_each = local.roles

  role_name   = aws_iam_role.this[each.key].name
  policy_arns = []
}
