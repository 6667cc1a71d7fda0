-- protected --
-- Whether no remediation may touch a session of `activity` with its `role`. $2 protected roles, $3 protected
-- applications, $4 beginnings of protected applications' names, in any case, also after a slash
role.rolsuper
OR role.rolreplication
OR activity.usename = ANY ($2::text[])
OR activity.application_name = ANY ($3::text[])
OR EXISTS (
    SELECT FROM unnest($4::text[]) AS prefix
    WHERE strpos('/' || lower(activity.application_name), '/' || lower(prefix)) > 0
)

-- client_backends --
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
