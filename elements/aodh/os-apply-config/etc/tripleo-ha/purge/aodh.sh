{{#aodh}}
{{#keep_history_days}}
OS_DATABASE__ALARM_HISTORY_TIME_TO_LIVE=$(({{keep_history_days}} * 86400)) exec aodh-expirer
{{/keep_history_days}}
{{/aodh}}
