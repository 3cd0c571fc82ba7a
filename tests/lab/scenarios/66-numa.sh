# SPDX-License-Identifier: GPL-2.0-or-later
# Two nodes, eight vCPUs on two sockets of two cores with two threads: the guest sees them as they were given.
CPUS=8,sockets=2,cores=2,threads=2 MEMORY=384
booted a -object memory-backend-ram,id=m0,size=128M,prealloc=on,prealloc-threads=2 -object memory-backend-memfd,id=m1,size=256M \
    -numa node,nodeid=0,cpus=0-1,cpus=6-7,memdev=m0 -numa node,nodeid=1,cpus=2-5,memdev=m1 -numa dist,src=0,dst=1,val=31
node=/sys/devices/system/node
cpu=/sys/devices/system/cpu
is "eight vCPUs" "$(guest_run a nproc)" 8
is "two nodes" "$(guest_run a "cat $node/online")" 0-1
is "the first one's vCPUs" "$(guest_run a "cat $node/node0/cpulist")" 0-1,6-7
is "the second one's" "$(guest_run a "cat $node/node1/cpulist")" 2-5
is "the distances" "$(guest_run a "cat $node/node*/distance" | tr '\n' ' ')" "10 31 31 10 "
is "the first one's memory, less what the kernel keeps" \
    "$(guest_run a "awk '/MemTotal/ { print (\$4 > 90 * 1024 && \$4 <= 128 * 1024) }' $node/node0/meminfo")" 1
is "the second one's" "$(guest_run a "awk '/MemTotal/ { print (\$4 > 180 * 1024 && \$4 <= 256 * 1024) }' $node/node1/meminfo")" 1
is "threads of a core" "$(guest_run a "cat $cpu/cpu5/topology/thread_siblings_list")" 4-5
is "cores of a socket" "$(guest_run a "cat $cpu/cpu5/topology/core_siblings_list")" 4-7
is "the sockets" "$(guest_run a "cat $cpu/cpu*/topology/physical_package_id" | sort | uniq -c | tr -s ' \n' ' ')" " 4 0 4 1 "
has "the monitor says the node of a vCPU" "$(qmp a query-cpus-fast | tr -d ' \n')" '"node-id":1.*"node-id":0'
has "…and what the memory is" "$(qmp a query-memdev | tr -d ' \n')" '"id":"m1","size":268435456.*"share":true'
