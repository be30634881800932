/* boundary_x86_64.S - boundary_call for x86-64 (System V).
 *
 * The frame, from its lowest address:
 *      0  unw_context_t, 968 bytes: every callee-saved register as the caller left it
 *    968  a, b, fn: kept for the call, and scanned, since they may be the only references
 *    992  padding
 *   1000  return address
 * boundary_frame_x86_64.c asserts these numbers. */
#define CONTEXT 968
#define FRAME   1000

        .text
        .globl  boundary_call
        .hidden boundary_call
        .type   boundary_call, @function
        .p2align 4
boundary_call:
        .cfi_startproc
        endbr64
        subq    $FRAME, %rsp
        .cfi_adjust_cfa_offset FRAME
        movq    %rsi, CONTEXT(%rsp)
        movq    %rdx, CONTEXT+8(%rsp)
        movq    %rdi, CONTEXT+16(%rsp)
        movq    $0, CONTEXT+24(%rsp)
        movq    %rsp, %rdi
        call    _Ux86_64_getcontext@PLT
        movq    CONTEXT(%rsp), %rdi
        movq    CONTEXT+8(%rsp), %rsi
        movq    %rsp, %rdx
        call    *CONTEXT+16(%rsp)
        addq    $FRAME, %rsp
        .cfi_adjust_cfa_offset -FRAME
        ret
        .cfi_endproc
        .size   boundary_call, .-boundary_call
        .section .note.GNU-stack,"",@progbits
