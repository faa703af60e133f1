{{#keystone}}
{{#keep_deleted_days}}
before=$(date -u -d '{{keep_deleted_days}} days ago' +%d-%m-%Y)
exec keystone-manage trust_flush --date "$before"
{{/keep_deleted_days}}
{{/keystone}}
