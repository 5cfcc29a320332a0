# An example of a policy that tightens the shipped contracts. Set `[policy] file` in indelible.toml to use one;
# infra/docs/privacy.md, "A policy beside the contract", says what a policy is asked and what it may answer.
package indelible.redaction

import rego.v1

# What the contract says stays, where no rule asks for more. Without this line every field would be dropped.
treatment := input.treatment if not hidden

treatment := "drop" if hidden

# Records for statistics need no persons: of what is personal, only networks are kept.
hidden if {
	input.purpose == "statistics"
	input.classification == "personal"
	input.treatment != "truncate_ip"
}

# Customers whose names begin with `eu-` asked that nothing is kept of how their users browse.
hidden if {
	startswith(input.tenant, "eu-")
	input.field in {"referer", "user_agent", "userAgent"}
}
