# Completion of lab in bash: lab itself is asked at each tab.
_lab() {
    # bash cuts words at = and : (COMP_WORDBREAKS), and lab must see them whole: what no space parts
    # on the line, up to the cursor, is one word.
    local line=${COMP_LINE:0:COMP_POINT} words=() part rest last i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        part=${COMP_WORDS[i]}
        rest=${line#"${line%%[![:space:]]*}"}
        if [[ $i == 0 || $rest != "$line" ]]; then words+=(""); fi
        # The cursor may stand inside of it.
        if [[ $rest != "$part"* ]]; then part=$rest; fi
        last=$((${#words[@]} - 1))
        words[last]+=$part
        line=${rest#"$part"}
    done
    local IFS=$'\013'
    COMPREPLY=($(_CLAP_IFS=$IFS _CLAP_COMPLETE_INDEX=$last COMPLETE=bash lab -- "${words[@]}"))
    if [[ ${COMPREPLY-} != *[=/:] ]]; then compopt +o nospace 2>/dev/null; fi
    # bash puts an answer in the place of what stands behind its last cut.
    local breaks=${COMP_WORDBREAKS//[^=:]/}
    if [[ -n $breaks ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${words[last]%"${words[last]##*[$breaks]}"}"}")
    fi
}
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
    complete -o nospace -o bashdefault -o nosort -F _lab lab
else
    complete -o nospace -o bashdefault -F _lab lab
fi
