/* registers.h - a function that loads every register of x86-64 but the stack pointer, and the red zone, from a table,
 * and then spins, or raises SIGTRAP. The table lies in malloc memory, which is not scanned. */
#ifndef API_REGISTERS_H
#define API_REGISTERS_H

#if defined __x86_64__

enum {
    GENERAL = 15,
    MMX = 8,
    RED_ZONE = 16,
    FIXED = GENERAL + MMX + RED_ZONE,
    XMM = 16 * 2,
    YMM = 16 * 4,
    MASK = 7, /* k1 to k7 */
    ZMM = 32 * 8
};

/* FIXED pointers, then those that registers_load, which is load_xmm, load_ymm or load_zmm, takes. */
void **registers_table;
void (*registers_load)(void **table);

/* Stores 1 to spin_state and spins until it is 2. */
volatile int spin_state;
void spin_with_registers(void);

/* Raises SIGTRAP; the handler returns. */
void trap_with_registers(void);

void load_xmm(void **table);
void load_ymm(void **table);
void load_zmm(void **table);

#define REGISTERS_FUNCTION(name, then)                                                                                 \
    ".text\n.type " name ", @function\n" name ":\n"                                                                    \
    "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"                                     \
    "    pushq $0\n"                                                                                                   \
    "    movq registers_table(%rip), %rdi\n"                                                                           \
    "    leaq 8*39(%rdi), %rdi\n"                                                                                      \
    "    call *registers_load(%rip)\n"                                                                                 \
    "    movq registers_table(%rip), %rdi\n"                                                                           \
    ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"                                                                  \
    "    movq 8*(23+\\i)(%rdi), %rax\n"                                                                                \
    "    movq %rax, -8-8*\\i(%rsp)\n"                                                                                  \
    ".endr\n"                                                                                                          \
    ".irp i, 0,1,2,3,4,5,6,7\n"                                                                                        \
    "    movq 8*(15+\\i)(%rdi), %mm\\i\n"                                                                              \
    ".endr\n"                                                                                                          \
    "    movq 8*0(%rdi), %rax\n"                                                                                       \
    "    movq 8*1(%rdi), %rbx\n"                                                                                       \
    "    movq 8*2(%rdi), %rcx\n"                                                                                       \
    "    movq 8*3(%rdi), %rdx\n"                                                                                       \
    "    movq 8*4(%rdi), %rsi\n"                                                                                       \
    "    movq 8*5(%rdi), %rbp\n"                                                                                       \
    "    movq 8*6(%rdi), %r8\n"                                                                                        \
    "    movq 8*7(%rdi), %r9\n"                                                                                        \
    "    movq 8*8(%rdi), %r10\n"                                                                                       \
    "    movq 8*9(%rdi), %r11\n"                                                                                       \
    "    movq 8*10(%rdi), %r12\n"                                                                                      \
    "    movq 8*11(%rdi), %r13\n"                                                                                      \
    "    movq 8*12(%rdi), %r14\n"                                                                                      \
    "    movq 8*13(%rdi), %r15\n"                                                                                      \
    "    movq 8*14(%rdi), %rdi\n" then "    emms\n"                                                                    \
    "    addq $8, %rsp\n"                                                                                              \
    "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"                                           \
    "    ret\n"                                                                                                        \
    ".size " name ", .-" name "\n"

__asm__(REGISTERS_FUNCTION("spin_with_registers", "    movl $1, spin_state(%rip)\n"
                                                  "1:  pause\n"
                                                  "    cmpl $2, spin_state(%rip)\n"
                                                  "    jne 1b\n"));
__asm__(REGISTERS_FUNCTION("trap_with_registers", "    int3\n"));

__asm__(".type load_xmm, @function\n"
        "load_xmm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movdqu 16*\\i(%rdi), %xmm\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_xmm, .-load_xmm\n"
        ".type load_ymm, @function\n"
        "load_ymm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovdqu 32*\\i(%rdi), %ymm\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_ymm, .-load_ymm\n"
        ".type load_zmm, @function\n"
        "load_zmm:\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "    vmovdqu64 64*\\i(%rdi), %zmm\\i\n"
        ".endr\n"
        ".irp i, 1,2,3,4,5,6,7\n"
        "    kmovq 64*32+8*(\\i-1)(%rdi), %k\\i\n"
        ".endr\n"
        "    ret\n"
        ".size load_zmm, .-load_zmm\n");

#endif
#endif
