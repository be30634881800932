dnl spangc.m4 - the few tests of our own that configure makes.

dnl SPANGC_TRY_FLAGS(VARIABLE, FLAGS): append to VARIABLE each of FLAGS that the compiler takes without a word.
dnl Clang only warns about a flag it does not know, hence -Werror.
AC_DEFUN([SPANGC_TRY_FLAGS], [
for spangc_flag in $2; do
  AC_MSG_CHECKING([whether $CC takes $spangc_flag])
  spangc_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $spangc_flag"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[]], [[]])],
    [AC_MSG_RESULT([yes])
     AS_VAR_APPEND([$1], [" $spangc_flag"])],
    [AC_MSG_RESULT([no])])
  CFLAGS=$spangc_save_CFLAGS
done])

dnl SPANGC_NEED_LINK(FLAGS, WHAT): stop unless a shared object links with FLAGS.
AC_DEFUN([SPANGC_NEED_LINK], [
AC_MSG_CHECKING([whether the linker takes $2])
spangc_save_CFLAGS=$CFLAGS
spangc_save_LDFLAGS=$LDFLAGS
CFLAGS="$CFLAGS -fPIC"
LDFLAGS="$LDFLAGS -shared $1"
echo 'CONFTEST_1 { global: exported; local: *; };' >conftest.map
AC_LINK_IFELSE([AC_LANG_SOURCE([[int exported(void); int exported(void) { return 0; }]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([the shared library needs a linker that takes $1])])
rm -f conftest.map
CFLAGS=$spangc_save_CFLAGS
LDFLAGS=$spangc_save_LDFLAGS])

dnl SPANGC_CHOICE(FEATURE, DEFAULT, CHOICES, HELP): --enable-FEATURE=one of CHOICES, left in $enable_FEATURE.
dnl A bare --enable-FEATURE is "yes" and must be among the choices to be taken.
AC_DEFUN([SPANGC_CHOICE], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1=m4_translit([$3], [ ], [|])], [$4])], [], [enable_$1=$2])
AS_CASE([" $3 "], [*" $enable_$1 "*], [],
  [AC_MSG_ERROR([bad value "$enable_$1" for --enable-$1: it takes one of $3])])])
