# OpenBao for one machine. It unseals itself with a key file, and sets itself up at its first start: the transit
# engine, the key that wraps the key table, and two tokens. Its root token is gone after that.
storage "raft" {
  path                   = "/openbao/file"
  node_id                = "openbao"
  performance_multiplier = 1
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/run/secrets/openbao.pem"
  tls_key_file  = "/run/secrets/openbao.key"
}

api_addr          = "https://openbao:8200"
cluster_addr      = "https://127.0.0.1:8201"
default_lease_ttl = "768h"
max_lease_ttl     = "87600h"

# Whoever has this file and the volume has all keys. Beyond one machine, use the seal of a cloud's KMS or an HSM.
seal "static" {
  current_key_id = "1"
  current_key    = "file:///run/secrets/openbao-seal-key"
}

initialize "indelible" {
  request "transit" {
    operation = "update"
    path      = "sys/mounts/transit"
    data      = { type = "transit" }
  }

  request "key-table" {
    operation = "update"
    path      = "transit/keys/indelible-key-table"
    data      = { type = "aes256-gcm96" }
  }

  # Without `create`: transit would put a new key silently in the place of one that was destroyed. One segment
  # only: neither rotation, nor configuration, nor export.
  request "may-use-keys" {
    operation = "update"
    path      = "sys/policies/acl/indelible"
    data = { policy = <<POLICY
path "transit/keys/+" { capabilities = ["read", "update"] }
path "transit/sign/+" { capabilities = ["update"] }
path "transit/encrypt/indelible-key-table" { capabilities = ["update"] }
path "transit/decrypt/indelible-key-table" { capabilities = ["update"] }
POLICY
    }
  }

  # Rotates and trims, takes snapshots, and can use no key.
  request "may-administer-keys" {
    operation = "update"
    path      = "sys/policies/acl/key-administrator"
    data = { policy = <<POLICY
path "transit/keys/*" { capabilities = ["create", "read", "update", "list"] }
path "sys/storage/raft/snapshot" { capabilities = ["read"] }
POLICY
    }
  }

  request "token-of-indelible" {
    operation = "update"
    path      = "auth/token/create"
    data = {
      id                = { eval_type = "string", eval_source = "file", path = "/run/secrets/openbao-token" }
      policies          = ["indelible"]
      no_parent         = true
      no_default_policy = true
      ttl               = "87600h"
    }
  }

  request "token-of-the-key-administrator" {
    operation = "update"
    path      = "auth/token/create"
    data = {
      id                = { eval_type = "string", eval_source = "file", path = "/run/secrets/openbao-administrator-token" }
      policies          = ["key-administrator"]
      no_parent         = true
      no_default_policy = true
      ttl               = "87600h"
    }
  }
}
