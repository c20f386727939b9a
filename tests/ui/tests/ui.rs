//! What a mistake is answered with.

#[test]
fn mistakes_are_named_at_compile_time() {
    let tests = trybuild::TestCases::new();
    tests.compile_fail("fail/*.rs");
}
