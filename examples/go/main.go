package main

import (
	"example.com/pulumi-codecanvas/sdk/go/codecanvas"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		settings := config.New(ctx, "")
		platform, err := codecanvas.NewComputingPlatform(ctx, "eu", &codecanvas.ComputingPlatformArgs{
			Namespace:   pulumi.StringRef("codecanvas-eu"),
			ServerUrl:   pulumi.String(settings.Require("serverUrl")),
			PodTemplate: "worker-pod.yaml",
			ServiceAccounts: map[string]map[string]pulumi.StringInput{
				"dev-environments": {
					"eks.amazonaws.com/role-arn": pulumi.String("arn:aws:iam::111122223333:role/dev-environments"),
				},
			},
			PropagateEnv:  []string{"TEAM"},
			Quota:         map[string]any{"requests.cpu": "64", "pods": 40},
			NetworkPolicy: pulumi.BoolRef(true),
			Values:        pulumi.Map{"podLabels": pulumi.StringMap{"team": pulumi.String("platform")}},
			Chart:         pulumi.StringRef(settings.Require("chart")),
			Freeze:        pulumi.BoolRef(settings.RequireBool("freeze")),
			FreezeReason:  pulumi.StringRef("maintenance"),
		})
		if err != nil {
			return err
		}
		ctx.Export("namespace", platform.Namespace)
		ctx.Export("podTemplate", platform.PodTemplateYaml)
		ctx.Export("applicationValues", platform.ApplicationValues)
		ctx.Export("connection", platform.Connection)
		ctx.Export("frozen", platform.Frozen)
		return nil
	})
}
