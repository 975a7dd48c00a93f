# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Connection options; the same as kubernetes.core's AUTH_ARG_SPEC.
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, several paths separated by C(:), or the content of one as a dictionary.
      - Without this and other connection options the service account of the pod the module runs in is used, else the
        default file C(~/.kube/config).
      - The environment variable E(K8S_AUTH_KUBECONFIG) is used when this is not set.
    type: raw
  context:
    description:
      - Name of a context of the kubeconfig.
      - The environment variable E(K8S_AUTH_CONTEXT) is used when this is not set.
    type: str
  host:
    description:
      - URL of the API server.
      - The environment variable E(K8S_AUTH_HOST) is used when this is not set.
    type: str
  api_key:
    description:
      - Bearer token to authenticate with, such as C(oc whoami -t) or C(oc create token) prints.
      - The environment variable E(K8S_AUTH_API_KEY) is used when this is not set.
    type: str
  username:
    description:
      - Not usable, since the Kubernetes API takes no user names; only here so that O(username) and O(password) that are
        meant for a login are told as a mistake. Get a token with C(community.okd.openshift_auth) and pass it as
        O(api_key).
      - The environment variable E(K8S_AUTH_USERNAME) is looked at when this is not set.
    type: str
  password:
    description:
      - Not usable, see O(username).
      - The environment variable E(K8S_AUTH_PASSWORD) is looked at when this is not set.
    type: str
  client_cert:
    description:
      - Path of a client certificate to authenticate with.
      - The environment variable E(K8S_AUTH_CERT_FILE) is used when this is not set.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the key of O(client_cert).
      - The environment variable E(K8S_AUTH_KEY_FILE) is used when this is not set.
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path of the certificates of the authority that signed the API server's certificate; the whole chain.
      - The environment variable E(K8S_AUTH_SSL_CA_CERT) is used when this is not set.
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether to verify the API server's certificate.
      - The environment variable E(K8S_AUTH_VERIFY_SSL) is used when this is not set.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - URL of an HTTP proxy to connect through. Proxy variables of the environment such as E(HTTP_PROXY) are not looked
        at.
      - The environment variable E(K8S_AUTH_PROXY) is used when this is not set.
    type: str
  no_proxy:
    description:
      - Hosts, domains, addresses and address ranges, separated by commas, to reach without O(proxy).
      - The environment variable E(K8S_AUTH_NO_PROXY) is used when this is not set.
    type: str
  proxy_headers:
    description:
      - Headers for the HTTP proxy.
    type: dict
    suboptions:
      proxy_basic_auth:
        description:
          - User name and password for the proxy, separated by a colon.
          - The environment variable E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH) is used when this is not set.
        type: str
      basic_auth:
        description:
          - User name and password for basic authentication, separated by a colon.
          - The environment variable E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH) is used when this is not set.
        type: str
      user_agent:
        description:
          - User agent to tell the proxy, such as V(foo/1.0).
          - The environment variable E(K8S_AUTH_PROXY_HEADERS_USER_AGENT) is used when this is not set.
        type: str
  persist_config:
    description:
      - Whether to write tokens that were refreshed while connecting back into the kubeconfig file.
      - The environment variable E(K8S_AUTH_PERSIST_CONFIG) is used when this is not set.
    type: bool
  impersonate_user:
    description:
      - User to act as; the account that authenticates needs the right to impersonate.
      - The environment variable E(K8S_AUTH_IMPERSONATE_USER) is used when this is not set.
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of.
      - The environment variable E(K8S_AUTH_IMPERSONATE_GROUPS) (separated by commas) is used when this is not set.
    type: list
    elements: str
requirements:
  - kubernetes >= 28.1.0, but neither 36.0.0 nor 36.0.1, which send no token
notes:
  - The options to connect, and the C(K8S_AUTH_*) environment variables, are those of C(kubernetes.core), so one
    C(module_defaults) entry for the group C(ocpv.scale.k8s) serves the modules of both collections.
"""
