module github.com/seccomp/libseccomp-golang

go 1.26

require berth.invalid/libseccomp-golang v0.12.0
