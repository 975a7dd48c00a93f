// The API server of Kubernetes and etcd as one program, for tests against real ones.
//
// It is what it is called as, kube-apiserver or etcd, and takes the options of either, so that it can stand wherever the
// programs of a Kubernetes release could.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "kube-apiserver":
		os.Exit(cli.Run(app.NewAPIServerCommand()))
	case "etcd":
		etcdmain.Main(os.Args)
	default:
		fmt.Fprintf(os.Stderr, "%s: call it as kube-apiserver or as etcd\n", name)
		os.Exit(2)
	}
}
