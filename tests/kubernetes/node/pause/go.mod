module kuma-test-pause

go 1.26.0
