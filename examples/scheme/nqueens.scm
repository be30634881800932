; nqueens.scm - in how many ways can n queens stand on a board of n by n without attacking each other?
; lisp nqueens.scm [N]     N is 8 unless given

(define n
  (if (pair? (cdr (command-line)))
      (string->number (cadr (command-line)))
      8))

; A queen `distance` rows above the row of `queens`' first is safe if none of them shares her column or a diagonal.
(define (safe? column distance queens)
  (or (null? queens)
      (let ((other (car queens)))
        (and (not (= other column))
             (not (= (abs (- other column)) distance))
             (safe? column (+ distance 1) (cdr queens))))))

; The ways to fill the rows that remain, `queens` being the columns of those that stand.
(define (solutions rows queens)
  (if (= rows 0)
      1
      (do ((column 1 (+ column 1))
           (found 0 (if (safe? column 1 queens)
                        (+ found (solutions (- rows 1) (cons column queens)))
                        found)))
          ((> column n) found))))

(display (solutions n '()))
(newline)
