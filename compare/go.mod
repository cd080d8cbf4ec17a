module github.com/seed-289bd6ac/raft/compare

go 1.26.0

require (
	github.com/seed-289bd6ac/raft v0.0.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/raft/v3 v3.7.0
	golang.org/x/sync v0.24.0
	google.golang.org/protobuf v1.36.12
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/seed-289bd6ac/raft => ../
