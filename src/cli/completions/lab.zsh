#compdef lab
# Completion of lab in zsh: lab itself is asked at each tab.
_lab() {
    local answers=("${(@f)$(_CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) COMPLETE=zsh lab -- "${words[@]}" 2>/dev/null)}")
    [[ -n $answers ]] || return 1
    # Each is a value, and perhaps a colon and what it is. A space follows what is whole.
    local -a folders keys others
    local answer value
    for answer in $answers; do
        value=${answer%%:*}
        case $value in
            */) folders+=("${value%/}${answer#"$value"}") ;;
            *=) keys+=("$answer") ;;
            *) others+=("$answer") ;;
        esac
    done
    [[ -n $folders ]] && _describe -V values folders -S / -r /
    [[ -n $keys ]] && _describe -V values keys -S ''
    [[ -n $others ]] && _describe -V values others
    return 0
}
compdef _lab lab
