; sort.scm - merge sort of a list of pseudo-random numbers, in place: only the links between the pairs change.
; lisp sort.scm [N]        N is 1000000 unless given

(define size
  (if (pair? (cdr (command-line)))
      (string->number (cadr (command-line)))
      1000000))

; The linear congruential generator of the C standard's example, and the sum of what it made.
(define (random-list count seed)
  (let loop ((i 0) (seed seed) (list '()))
    (if (= i count)
        list
        (let ((next (remainder (+ (* seed 1103515245) 12345) 2147483648)))
          (loop (+ i 1) next (cons (quotient next 65536) list))))))

(define (sum l)
  (let loop ((l l) (s 0)) (if (null? l) s (loop (cdr l) (+ s (car l))))))

; Links two sorted lists, neither of them empty, into one behind the pair `last`.
(define (merge-behind! last a b)
  (cond ((< (car b) (car a))
         (set-cdr! last b)
         (if (null? (cdr b)) (set-cdr! b a) (merge-behind! b a (cdr b))))
        (else
         (set-cdr! last a)
         (if (null? (cdr a)) (set-cdr! a b) (merge-behind! a (cdr a) b)))))

(define (merge! a b)
  (let ((head (cons #f '())))
    (merge-behind! head a b)
    (cdr head)))

; Takes the first n pairs off the list `unsorted` and returns them sorted.
(define unsorted '())

(define (take-sorted! n)
  (if (= n 1)
      (let ((first unsorted))
        (set! unsorted (cdr first))
        (set-cdr! first '())
        first)
      (let* ((half (quotient n 2))
             (a (take-sorted! half))
             (b (take-sorted! (- n half))))
        (merge! a b))))

(define (sort! l)
  (set! unsorted l)
  (if (null? l) l (take-sorted! (length l))))

(define (sorted? l)
  (or (null? l)
      (null? (cdr l))
      (and (not (< (cadr l) (car l))) (sorted? (cdr l)))))

(let* ((numbers (random-list size 1))
       (before (sum numbers))
       (result (sort! numbers)))
  (unless (and (= (length result) size) (= (sum result) before) (sorted? result))
    (error "the list is not sorted, or not the same numbers:" (length result) (sum result)))
  (display size)
  (display " numbers sorted, their sum is ")
  (display before)
  (newline))
