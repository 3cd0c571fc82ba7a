// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * payload: a guest of a few instructions for tests of host-vmm that need no kernel: an ELF file with a PVH entry, which
 * even a KVM that only interprets can run. Says "payload up" on COM1 and then does what the bytes that come in there ask:
 *
 *   c  prints its command line            r  resets by port 0xcf9       t  resets by a triple fault
 *   p  powers off (S5)                    h  halts for ever             x  runs fxrstor and xrstor, says "x ok"
 *   b  waits for the power button and says "button"                     m  says "whole" if a mark in the image is as it was loaded, else "broken"
 *   k  says by pvpanic that it has panicked, then "went on"            n  waits for a non-maskable interrupt, says "nmi"
 *   w  has KVM write its wall clock over the mark, says "w ok"          any other byte is echoed
 */
        .set    COM1, 0x3f8
        .set    PM1_EVENT, 0x600
        .set    PM1_CONTROL, 0x604
        .set    PVPANIC, 0x505
        .set    MARK, 0x6b72616d
        .set    MSR_KVM_WALL_CLOCK_NEW, 0x4b564d00

        .section .note.pvh, "a", @note
        .balign 4
        .long   4, 4, 18                        /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz  "Xen"
        .long   _start

        .text
        .globl  _start
_start: mov     $stack_end, %esp
        mov     %ebx, %ebp                      /* hvm_start_info */
        mov     $greeting, %esi
        call    print
next:   call    read_byte
        cmp     $'c', %al
        je      say_cmdline
        cmp     $'r', %al
        je      reset
        cmp     $'t', %al
        je      triple_fault
        cmp     $'p', %al
        je      power_off
        cmp     $'h', %al
        je      halt
        cmp     $'x', %al
        je      extended
        cmp     $'b', %al
        je      button
        cmp     $'m', %al
        je      say_mark
        cmp     $'k', %al
        je      panic
        cmp     $'n', %al
        je      wait_nmi
        cmp     $'w', %al
        je      wall_clock
        call    write_byte
        jmp     next

say_cmdline:
        mov     24(%ebp), %esi                  /* hvm_start_info.cmdline_paddr */
        call    print
        mov     $newline, %esi
        call    print
        jmp     next

reset:  mov     $0xcf9, %dx
        mov     $6, %al
        out     %al, %dx
        jmp     halt

triple_fault:
        lidt    no_idt
        ud2

power_off:
        mov     $PM1_CONTROL, %dx
        mov     $0x2000, %ax                    /* SLP_EN, type 0 */
        out     %ax, %dx
halt:   cli
        hlt
        jmp     halt

extended:
        mov     %cr4, %eax
        or      $0x40200, %eax                  /* OSFXSR, OSXSAVE */
        mov     %eax, %cr4
        mov     $area, %edi
        fxsave  (%edi)
        fxrstor (%edi)
        xor     %ecx, %ecx
        xor     %edx, %edx
        mov     $3, %eax
        xsetbv
        mov     $1, %eax
        xor     %edx, %edx
        xsave   (%edi)
        mov     $1, %eax
        xor     %edx, %edx
        xrstor  (%edi)
        mov     $extended_ok, %esi
        call    print
        jmp     next

say_mark:
        mov     $whole, %esi
        cmpl    $MARK, mark
        je      1f
        mov     $broken, %esi
1:      call    print
        jmp     next

panic:  mov     $PVPANIC, %dx
        mov     $1, %al
        out     %al, %dx
        mov     $went_on, %esi
        call    print
        jmp     next

wait_nmi:
        movl    $on_nmi, %eax
        movw    %ax, idt + 16                   /* vector 2: an interrupt gate of the entry state's code segment */
        movw    %cs, idt + 18
        movw    $0x8e00, idt + 20
        shr     $16, %eax
        movw    %ax, idt + 22
        lidt    idt_pointer
        mov     $waiting, %esi
        call    print
1:      hlt
        jmp     1b
on_nmi: mov     $nmi_text, %esi
        call    print
        mov     $stack_end, %esp
        jmp     next

wall_clock:
        mov     $MSR_KVM_WALL_CLOCK_NEW, %ecx
        mov     $mark, %eax
        xor     %edx, %edx
        wrmsr
        mov     $wall_clock_ok, %esi
        call    print
        jmp     next

button: mov     $PM1_EVENT, %dx
        in      %dx, %ax
        test    $0x100, %ax
        jz      button
        mov     $0x100, %ax
        out     %ax, %dx
        mov     $button_text, %esi
        call    print
        jmp     next

/* %esi: text */
print:  lodsb
        test    %al, %al
        jz      1f
        call    write_byte
        jmp     print
1:      ret

write_byte:
        mov     %al, %ah
        mov     $COM1 + 5, %dx
1:      in      %dx, %al
        test    $0x20, %al
        jz      1b
        mov     %ah, %al
        mov     $COM1, %dx
        out     %al, %dx
        ret

read_byte:
        mov     $COM1 + 5, %dx
1:      in      %dx, %al
        test    $1, %al
        jz      1b
        mov     $COM1, %dx
        in      %dx, %al
        ret

        .section .rodata
greeting:
        .asciz  "payload up\n"
extended_ok:
        .asciz  "x ok\n"
whole:  .asciz  "whole\n"
broken: .asciz  "broken\n"
went_on:
        .asciz  "went on\n"
waiting:
        .asciz  "waiting\n"
nmi_text:
        .asciz  "nmi\n"
idt_pointer:
        .word   23
        .long   idt
wall_clock_ok:
        .asciz  "w ok\n"
button_text:
        .asciz  "button\n"
newline:
        .asciz  "\n"
no_idt: .word   0
        .long   0

        .data
        .balign 4
mark:   .long   MARK, 0, 0                      /* the size of struct pvclock_wall_clock */

        .bss
        .balign 64
area:   .skip   4096
idt:    .skip   24
        .balign 16
        .skip   4096
stack_end:
        .section .note.GNU-stack, "", @progbits
