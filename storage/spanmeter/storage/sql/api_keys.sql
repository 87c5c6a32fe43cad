-- insert_key --
-- Add a key; the log of it is a trigger's.
INSERT INTO api_keys (key_id, name, digest, scopes, tenants, replaces, expires_at)
VALUES (%(key_id)s, %(name)s, %(digest)s, %(scopes)s, %(tenants)s, %(replaces)s, %(expires_at)s);

-- keys --
-- All keys, and whether each works at this moment; without their digests, which a reader may not see.
SELECT key_id, name, scopes, tenants, created_at, created_by, replaces, expires_at, revoked_at, last_used_at
FROM api_keys
ORDER BY created_at DESC, key_id;

-- ring --
-- What a collector has to know to tell who sends.
SELECT key_id, digest, scopes, tenants, expires_at, revoked_at FROM api_keys;

-- bindings --
-- The tenants that keys are bound to, of those that are bound.
SELECT key_id, tenants FROM api_keys WHERE tenants IS NOT NULL;

-- lock_key --
-- The key that is to be replaced, for as long as the transaction lasts.
SELECT name, scopes, tenants, expires_at, revoked_at FROM api_keys WHERE key_id = %s FOR UPDATE;

-- expire_key --
-- Let a key work no longer than until then.
UPDATE api_keys SET expires_at = least(expires_at, now() + %(overlap)s) WHERE key_id = %(key_id)s;

-- revoke_key --
-- End a key for good; what is revoked already stays as it is.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = %s;

-- bind_key --
-- Bind a key to other tenants, or to none.
UPDATE api_keys SET tenants = %(tenants)s WHERE key_id = %(key_id)s;

-- note_used --
-- When keys were last used, unless another collector has seen them later.
UPDATE api_keys SET last_used_at = seen.at
FROM unnest(%(key_ids)s::text[], %(times)s::timestamptz[]) AS seen (key_id, at)
WHERE api_keys.key_id = seen.key_id AND (last_used_at IS NULL OR last_used_at < seen.at - interval '30 seconds');
