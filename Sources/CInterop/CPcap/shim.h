// libpcap. Its `struct bpf_insn` and `struct bpf_program` collide with those of linux/bpf.h, so they are renamed here.
#pragma once
#define bpf_insn pcap_bpf_insn
#define bpf_program pcap_bpf_program
#include <pcap/pcap.h>
#undef bpf_insn
#undef bpf_program
