//! Numbers, times and foreign text as a person reads them: `18.2 kB`, `2 h 28 min`, names without control characters.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use crate::amounts::timestamp;

/// Makes every character of foreign text visible and harmless on a terminal, in a mail and in a log.
///
/// Control characters, and those that reorder, hide or split text, are written as escapes: a function named
/// `\u{1b}[2J` clears no screen, and a right-to-left override turns no address around.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Controls (C0, DEL, C1), soft hyphen, joiners and direction marks, line separators, invisible operators, the byte
/// order mark, marks of scripts, music and annotations, tags: Unicode 16's general categories Cc, Cf, Zl and Zp. And
/// what is drawn as nothing: fillers, the blank pattern of Braille, selectors of Mongolian and of ideographs.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns a text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text cut to `width` columns, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if columns(text) <= width {
        return Cow::Borrowed(text);
    }
    // The text is measured, not its characters: a variation selector widens the one before it.
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if columns(&kept) >= width {
            kept.pop();
            break;
        }
    }
    let end = kept.trim_end().len();
    kept.truncate(end);
    kept.push('…');
    Cow::Owned(kept)
}

/// The text cut to `n` characters, for forms that count characters, with `...` where something is missing.
pub(super) fn cut_chars(text: &str, n: usize) -> Cow<'_, str> {
    if text.chars().count() <= n {
        return Cow::Borrowed(text);
    }
    let kept: String = text.chars().take(n.saturating_sub(3)).collect();
    Cow::Owned(format!("{}...", kept.trim_end()))
}

/// Breaks text into lines of at most `width` columns, between words where it can.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let needed = columns(word) + usize::from(!line.is_empty());
        if columns(&line) + needed <= width {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for character in word.chars() {
            line.push(character);
            if columns(&line) > width {
                line.pop();
                lines.push(std::mem::replace(&mut line, character.to_string()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Minute of event time: `2026-03-31 09:12 UTC`.
pub(super) fn minute(unix_secs: i64) -> String {
    timestamp(unix_secs).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Second of event time: `2026-03-31 09:12:44`.
pub(super) fn second(unix_secs: i64) -> String {
    timestamp(unix_secs).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Time of day: `09:12:44`.
pub(super) fn clock(unix_secs: i64) -> String {
    timestamp(unix_secs).strftime("%H:%M:%S").to_string()
}

/// A name as one word of a shell command; what no function name can hold is never pasted into a shell.
pub(super) fn shell_word(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | '/');
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        Cow::Borrowed(name)
    } else {
        Cow::Borrowed("NAME")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unsafe_characters_become_visible() {
        for (text, safe) in [
            ("activities-api", "activities-api"),
            ("Åland Télécom 网络", "Åland Télécom 网络"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\nb\tc", "a\\nb\\tc"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{3164}\u{13430}b", "a\\u{3164}\\u{13430}b"),
            ("\u{7f}\u{9b}", "\\u{7f}\\u{9b}"),
        ] {
            assert_eq!(visible(text), safe);
        }
    }

    #[test]
    fn names_that_could_do_harm_are_not_offered_to_a_shell() {
        assert_eq!(shell_word("activities-api"), "activities-api");
        for name in ["", "-rf", "a b", "$(id)", "a;b", "a'b", "a\nb"] {
            assert_eq!(shell_word(name), "NAME", "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_asked(text in "\\PC{0,200}", width in 8usize..100) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| columns(line) <= width));
            let kept: String = lines.concat().split_whitespace().collect();
            prop_assert_eq!(kept, text.split_whitespace().collect::<String>());
            prop_assert!(columns(&cut(&text, width)) <= width);
        }

        #[test]
        fn visible_text_holds_nothing_unsafe(text: String) {
            prop_assert!(!visible(&text).contains(is_unsafe));
        }
    }
}
