"""The benchmark: this package beside raw Pulumi, beside Helm with kubectl, and beside the bare API writes."""
