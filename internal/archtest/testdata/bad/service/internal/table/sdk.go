package table

import _ "github.com/aliyun/aliyun-odps-go-sdk/odps"
