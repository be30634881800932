; meta.scm - Scheme in Scheme: an evaluator that runs programs, one of which is an evaluator that runs a program.
;
; Environments are lists of frames, a frame is a list of (name . value). A procedure of the evaluated language is a
; vector: #(closure parameters body environment). Procedures of the language below are used as they are.

(define (extend names values environment)
  (cons (let bind ((names names) (values values))
          (cond ((null? names) '())
                ((symbol? names) (list (cons names values)))
                ((null? values) (error "too few arguments for" names))
                (else (cons (cons (car names) (car values)) (bind (cdr names) (cdr values))))))
        environment))

(define (binding-of name environment)
  (cond ((null? environment) (error "meta: undefined:" name))
        ((assq name (car environment)))
        (else (binding-of name (cdr environment)))))

(define (define! name value environment)
  (set-car! environment (cons (cons name value) (car environment))))

(define (meta-eval form environment)
  (cond ((symbol? form) (cdr (binding-of form environment)))
        ((not (pair? form)) form)
        (else
         (case (car form)
           ((quote) (cadr form))
           ((if) (meta-eval (if (meta-eval (cadr form) environment) (caddr form) (cadddr form)) environment))
           ((lambda) (vector 'closure (cadr form) (cddr form) environment))
           ((begin) (meta-body (cdr form) environment))
           ((define) (define! (cadr form) (meta-eval (caddr form) environment) environment))
           ((set!) (set-cdr! (binding-of (cadr form) environment) (meta-eval (caddr form) environment)))
           ((let)
            (meta-body (cddr form)
                       (extend (map car (cadr form))
                               (map (lambda (b) (meta-eval (cadr b) environment)) (cadr form))
                               environment)))
           (else
            (meta-apply (meta-eval (car form) environment)
                        (map (lambda (operand) (meta-eval operand environment)) (cdr form))))))))

(define (meta-body forms environment)
  (if (null? (cdr forms))
      (meta-eval (car forms) environment)
      (begin
        (meta-eval (car forms) environment)
        (meta-body (cdr forms) environment))))

(define (meta-apply procedure arguments)
  (if (vector? procedure)
      (meta-body (vector-ref procedure 2)
                 (extend (vector-ref procedure 1) arguments (vector-ref procedure 3)))
      (apply procedure arguments)))

(define (make-environment)
  (list (map cons
             '(+ - * = < cons car cdr null? pair? symbol? eq? list not)
             (list + - * = < cons car cdr null? pair? symbol? eq? list not))))

(define (run name program)
  (display name)
  (display ": ")
  (write (meta-body program (make-environment)))
  (newline))

(run "factorial of 20"
     '((define fact (lambda (n) (if (= n 0) 1 (* n (fact (- n 1))))))
       (fact 20)))

(run "Fibonacci numbers"
     '((define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2))))))
       (define up-to (lambda (i n) (if (= i n) (quote ()) (cons (fib i) (up-to (+ i 1) n)))))
       (up-to 0 19)))

(run "a counter that is a closure"
     '((define make-counter (lambda (n) (lambda () (begin (set! n (+ n 1)) n))))
       (define count (make-counter 10))
       (define other (make-counter 100))
       (count)
       (other)
       (list (count) (other))))

(run "a loop of 20000 tail calls"
     '((define loop (lambda (i sum) (if (= i 0) sum (loop (- i 1) (+ sum i)))))
       (loop 20000 0)))

; A third floor: a lambda calculus with numbers, evaluated by a program that meta-eval evaluates.
(run "factorial of 6, two evaluators down"
     '((define look-up (lambda (name env) (if (eq? name (car (car env))) (cdr (car env)) (look-up name (cdr env)))))
       (define evaluate
         (lambda (form env)
           (if (symbol? form)
               (look-up form env)
               (if (not (pair? form))
                   form
                   (if (eq? (car form) 'fn)
                       (lambda (x) (evaluate (car (cdr (cdr form))) (cons (cons (car (cdr form)) x) env)))
                       (if (eq? (car form) 'zero?)
                           (if (= 0 (evaluate (car (cdr form)) env))
                               (evaluate (car (cdr (cdr form))) env)
                               (evaluate (car (cdr (cdr (cdr form)))) env))
                           ((evaluate (car form) env) (evaluate (car (cdr form)) env))))))))
       (define base
         (list (cons 'times (lambda (x) (lambda (y) (* x y))))
               (cons 'pred (lambda (x) (- x 1)))))
       (evaluate '(((fn f (f f))
                    (fn self (fn n (zero? n 1 ((times n) ((self self) (pred n)))))))
                   6)
                 base)))
