-- {outcome}: the id of a transaction. Answers 1 where it has committed, 0 where there is no such row; an error at once where the
-- row is locked, because the transaction has not ended. One statement an id: a list of them could be answered by a scan, which
-- meets the locks of others.
; SELECT COUNT(*) FROM cache_outcomes WHERE id = X'{outcome}'
    /*!80022 FOR SHARE NOWAIT */ /*M!100600 LOCK IN SHARE MODE NOWAIT */
