//! Makes a slug from a title. Pure; whether it is free is the database's business.

/// Letters and digits of any script in lower case, everything between them one hyphen. Empty when there are none.
pub(crate) fn slugify(title: &str) -> String {
    let mut slug = String::with_capacity(title.len());
    for word in title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.extend(word.chars().flat_map(char::to_lowercase));
    }
    slug
}

#[cfg(test)]
mod tests {
    use super::slugify;

    #[test]
    fn words_are_joined_by_single_hyphens() {
        assert_eq!(slugify("How to train your dragon"), "how-to-train-your-dragon");
        assert_eq!(slugify("  --Rust:  100% fun!  "), "rust-100-fun");
    }

    #[test]
    fn letters_of_other_scripts_stay() {
        assert_eq!(slugify("Über die Brücke"), "über-die-brücke");
        assert_eq!(slugify("日本 語"), "日本-語");
    }

    #[test]
    fn a_title_without_letters_has_no_slug() {
        assert_eq!(slugify("?!"), "");
    }
}
