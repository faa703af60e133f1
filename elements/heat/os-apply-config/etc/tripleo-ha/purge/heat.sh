{{#heat}}
{{#keep_deleted_days}}
exec heat-manage purge_deleted {{keep_deleted_days}}
{{/keep_deleted_days}}
{{/heat}}
