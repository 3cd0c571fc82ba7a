// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest that probe.c runs: entered in 64-bit mode at its first byte, mapped 1:1, stack given, writable and open to
 * user space throughout. Tells each stage that it has come through by a write to PROBE_PORT.
 */
#include "host-vmm/kvm/probe-guest.h"

        .section .rodata
        .globl  probe_guest_start, probe_guest_end
        .balign 16
probe_guest_start:
        mov     $PROBE_STAGE_LONG_MODE, %al
        out     %al, $PROBE_PORT

        /* A 16-byte compare and exchange: a stock kernel's per-CPU allocator lives on it. */
        sub     $64, %rsp
        and     $-64, %rsp
        xor     %eax, %eax
        xor     %edx, %edx
        mov     %rax, (%rsp)
        mov     %rax, 8(%rsp)
        mov     $1, %ebx
        xor     %ecx, %ecx
        lock cmpxchg16b (%rsp)
        mov     $PROBE_STAGE_CMPXCHG16B, %al
        out     %al, $PROBE_PORT

        /* xsave and xrstor, where CPUID has them (leaf 1, ECX bit 26). */
        mov     $1, %eax
        cpuid
        bt      $26, %ecx
        jnc     1f
        mov     %cr4, %rax
        or      $(1 << 18), %rax                /* OSXSAVE */
        mov     %rax, %cr4
        xor     %ecx, %ecx
        mov     $3, %eax                        /* x87 and SSE */
        xor     %edx, %edx
        xsetbv
        sub     $1024, %rsp
        and     $-64, %rsp
        lea     512(%rsp), %rdi                 /* the header has to be zero */
        xor     %eax, %eax
        mov     $8, %ecx
        rep stosq
        mov     $3, %eax
        xor     %edx, %edx
        xsave64 (%rsp)
        mov     $3, %eax
        xor     %edx, %edx
        xrstor64 (%rsp)
1:      mov     $PROBE_STAGE_XRSTOR, %al
        out     %al, $PROBE_PORT

        mov     $PROBE_LOOP_TURNS, %ecx
2:      dec     %ecx
        jnz     2b
        mov     $PROBE_STAGE_LOOP, %al
        out     %al, $PROBE_PORT

        /* To user space by iretq, back by syscall. */
        lea     probe_gdt(%rip), %rax
        mov     %rax, probe_gdt_base(%rip)
        lgdt    probe_gdt_pointer(%rip)
        mov     $0xc0000080, %ecx               /* EFER */
        rdmsr
        or      $1, %eax                        /* SCE */
        wrmsr
        mov     $0xc0000081, %ecx               /* STAR: user base 0x10, kernel 0x08 */
        xor     %eax, %eax
        mov     $0x00100008, %edx
        wrmsr
        mov     $0xc0000082, %ecx               /* LSTAR */
        lea     probe_syscall(%rip), %rax
        mov     %rax, %rdx
        shr     $32, %rdx
        wrmsr
        mov     $0xc0000084, %ecx               /* SFMASK */
        xor     %eax, %eax
        xor     %edx, %edx
        wrmsr
        mov     %rsp, %rbx
        push    $(0x18 | 3)                     /* ss */
        push    %rbx                            /* rsp */
        push    $2                              /* rflags */
        push    $(0x20 | 3)                     /* cs */
        lea     probe_user(%rip), %rax
        push    %rax
        iretq
probe_user:
        mov     $0x1234, %edi
        syscall
probe_syscall:
        cmp     $0x1234, %edi
        jne     3f
        mov     $PROBE_STAGE_USER, %al
        out     %al, $PROBE_PORT
3:      hlt
        jmp     3b

        .balign 8
probe_gdt:
        .quad   0
        .quad   0x00af9b000000ffff              /* 0x08 kernel code, 64-bit */
        .quad   0x00cf93000000ffff              /* 0x10 kernel data */
        .quad   0x00cff3000000ffff              /* 0x18 user data */
        .quad   0x00affb000000ffff              /* 0x20 user code, 64-bit */
probe_gdt_pointer:
        .word   5 * 8 - 1
probe_gdt_base:
        .quad   0
probe_guest_end:
        .section .note.GNU-stack, "", @progbits
