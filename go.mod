module github.com/seed-289bd6ac/raft

go 1.26

require google.golang.org/protobuf v1.36.12 // indirect
