{{#glance}}
{{#keep_deleted_days}}
exec glance-manage db purge --age_in_days={{keep_deleted_days}} --max_rows=-1
{{/keep_deleted_days}}
{{/glance}}
