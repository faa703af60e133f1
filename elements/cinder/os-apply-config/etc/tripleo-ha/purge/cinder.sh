{{#cinder}}
{{#keep_deleted_days}}
exec cinder-manage db purge {{keep_deleted_days}}
{{/keep_deleted_days}}
{{/cinder}}
