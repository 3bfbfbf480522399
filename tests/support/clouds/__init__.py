"""Stand-ins for the Pulumi providers of AWS, of EKS and of Google Cloud, which cannot be had without the clouds.

They stand in for the plugins `aws`, `eks` and `gcp`, answer exactly the resources and functions that the examples
use, and keep what is "in the cloud" as files in a folder. Inputs are checked against the types of the installed
SDKs. A cluster is the local cluster: its endpoint, its certificate, and nodes in it for node groups and pools.
"""
