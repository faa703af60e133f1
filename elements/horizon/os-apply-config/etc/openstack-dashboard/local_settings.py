{{#horizon}}
ALLOWED_HOSTS = [
    '{{cluster.virtual_ips.control.ip}}',
    '{{cluster.virtual_ips.public.ip}}',
{{#tls.control.name}}
    '{{tls.control.name}}',
{{/tls.control.name}}
{{#tls.public.name}}
    '{{tls.public.name}}',
{{/tls.public.name}}
    # Before clients are sent here, the node asks itself.
    '{{derived.node.ip}}',
]
SECRET_KEY = '{{secret_key}}'
# Set by HAProxy whatever a client says.
SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')
SECURE_PROXY_ADDR_HEADER = 'HTTP_X_FORWARDED_FOR'

OPENSTACK_KEYSTONE_URL = '{{derived.urls.keystone.control}}/v3'
OPENSTACK_ENDPOINT_TYPE = 'internalURL'
{{#tls.control.enabled}}
# By itself it would take any certificate of Glance's.
OPENSTACK_SSL_CACERT = '/etc/ssl/certs/ca-certificates.crt'
{{/tls.control.enabled}}
OPENSTACK_KEYSTONE_DEFAULT_ROLE = 'member'

# Sessions are where no controller takes them along when it is lost. A connection is made for each request, so that none
# is kept to a database that is gone.
SESSION_ENGINE = 'django.contrib.sessions.backends.db'
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.mysql',
        'HOST': '{{cluster.virtual_ips.control.ip}}',
        'PORT': 3306,
        'NAME': 'horizon',
        'USER': 'horizon',
        'PASSWORD': '{{database_password}}',
        'OPTIONS': {'charset': 'utf8mb4', 'connect_timeout': 5, 'read_timeout': 30, 'write_timeout': 30},
    },
}

LOGGING = {
    'version': 1,
    'disable_existing_loggers': False,
    'formatters': {'plain': {'format': '%(levelname)s %(name)s %(message)s'}},
    'handlers': {
        'stderr': {'class': 'logging.StreamHandler', 'formatter': 'plain'},
        'nowhere': {'class': 'logging.NullHandler'},
    },
    'root': {'handlers': ['stderr'], 'level': 'WARNING'},
    'loggers': {
        name: {'handlers': ['stderr'], 'level': '{{#debug}}DEBUG{{/debug}}{{^debug}}INFO{{/debug}}', 'propagate': False}
        for name in ('horizon', 'openstack_auth', 'openstack_dashboard')
    }
    # Whoever scans the public network would fill the log with it.
    | {'django.security.DisallowedHost': {'handlers': ['nowhere'], 'propagate': False}},
}
{{#derived.extra.horizon}}
{{#options}}
{{option}} = {{value}}
{{/options}}
{{/derived.extra.horizon}}
{{/horizon}}
