import {
  type CommandName,
  COMMANDS,
  type Flag,
  TEXT_COMMANDS,
  type TextCommandName,
} from "./flag.ts";
import { flagList } from "./flags.ts";
import { COMMAND_TEXTS } from "./manual.ts";
import { type Shell, SHELLS } from "./shells.ts";

const ALL_COMMANDS = [...COMMANDS, ...TEXT_COMMANDS];

/** The script that makes a shell complete the command line; from the flag table. */
export function renderCompletions(shell: Shell): string {
  switch (shell) {
    case "bash":
      return bashScript();
    case "zsh":
      return zshScript();
    case "fish":
      return fishScript();
    default:
      return shell satisfies never;
  }
}

const flagsOf = (command: CommandName) =>
  flagList.filter(({ commands }) => commands.includes(command));

const spellings = ({ letter, name }: Flag<unknown>) =>
  letter === undefined ? [`--${name}`] : [`-${letter}`, `--${name}`];

const takesValue = (flag: Flag<unknown>) => flag.placeholder !== undefined;

/** In POSIX's single quotes, which bash and zsh share. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function bashScript(): string {
  const valueFlags = flagList.filter(takesValue);
  const cases = valueFlags.map((flag) => {
    const { words, files } = flag.suggestions;
    const offers = [
      ...words.length === 0 ? [] : [`_pg2kinesis_words ${quoted(words.join(" "))}`],
      ...files ? ["_pg2kinesis_files"] : [],
    ];
    const places = flag.commands.flatMap((command) =>
      spellings(flag).map((spelling) => `${command}:${spelling}`)
    );
    return `    ${places.join(" | ")}) ${[...offers, "return"].join("; ")} ;;\n`;
  });
  const wordsOf = COMMANDS.map((command) =>
    `    ${command}) words=${
      quoted(flagsOf(command).map(({ name }) => `--${name}`).join(" "))
    } ;;\n`
  );
  return `\
# bash completions of pg2kinesis. To have them in every session:
#   pg2kinesis completions bash > /etc/bash_completion.d/pg2kinesis
# or in ~/.bashrc:  eval "$(pg2kinesis completions bash)"
# shellcheck shell=bash

_pg2kinesis_words() {
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$1" -- "$current")
}

_pg2kinesis_files() {
  local file
  # Not in the bash of macOS.
  compopt -o filenames 2>/dev/null
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
}

_pg2kinesis() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command='' words i
  COMPREPLY=()
  # bash makes three words of --flag=value.
  if [[ $current == '=' ]]; then
    current=''
  elif [[ $before == '=' ]]; then
    before=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
    ${valueFlags.flatMap(spellings).join(" | ")})
      [[ \${COMP_WORDS[i + 1]} == '=' ]] && ((i++))
      ((i++))
      ;;
    ${ALL_COMMANDS.join(" | ")})
      command=\${COMP_WORDS[i]}
      break
      ;;
    esac
  done
  case \${command:-${COMMANDS[0]}}:$before in
${cases.join("")}  esac
  if [[ -z $command && $current != -* ]]; then
    _pg2kinesis_words ${quoted(ALL_COMMANDS.join(" "))}
    return
  fi
  case \${command:-${COMMANDS[0]}} in
${wordsOf.join("")}    completions) words=${quoted(SHELLS.join(" "))} ;;
    man | schema) words='--help' ;;
  esac
  _pg2kinesis_words "$words"
}

complete -F _pg2kinesis pg2kinesis
`;
}

function zshScript(): string {
  const offersBoth = flagList.filter(({ suggestions: { words, files } }) =>
    files && words.length > 0
  );
  const functions = offersBoth.map((flag) =>
    `\
${zshFunction(flag)}() {
  _alternative ${quoted(`words:${flag.placeholder}:(${flag.suggestions.words.join(" ")})`)} \\
    'files:file:_files'
}

`
  );
  const cases = COMMANDS.map((command) =>
    `\
    ${command})
      arguments=(
${flagsOf(command).flatMap(zshSpecs).map((spec) => `        ${quoted(spec)}\n`).join("")}\
        ${quoted(`1:command:((${ALL_COMMANDS.map(zshCommand).join(" ")}))`)}
      )
      ;;
`
  );
  return `\
#compdef pg2kinesis
# zsh completions of pg2kinesis. To have them in every session:
#   pg2kinesis completions zsh > "\${fpath[1]}/_pg2kinesis"
# or in ~/.zshrc, behind compinit:  eval "$(pg2kinesis completions zsh)"

${functions.join("")}_pg2kinesis() {
  local command=${COMMANDS[0]} i
  local -a arguments
  for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
      (${flagList.filter(takesValue).flatMap(spellings).join("|")}) ((i++)) ;;
      (${ALL_COMMANDS.join("|")}) command=$words[i]; break ;;
    esac
  done
  case $command in
${cases.join("")}\
    completions) arguments=('--help[print help]' '1: :(completions)' '2:shell:(${
    SHELLS.join(" ")
  })') ;;
    man | schema) arguments=('--help[print help]' '1: :(man schema)') ;;
  esac
  _arguments $arguments
}

if [ "$funcstack[1]" = _pg2kinesis ]; then
  _pg2kinesis "$@"
else
  compdef _pg2kinesis pg2kinesis
fi
`;
}

const zshFunction = ({ name }: Flag<unknown>) => `_pg2kinesis_${name.replaceAll("-", "_")}`;

const zshCommand = (command: CommandName | TextCommandName) =>
  `${command}\\:"${COMMAND_TEXTS[command]}"`;

/** `_arguments`' words for a flag, one for each way to spell it. */
function zshSpecs(flag: Flag<unknown>): string[] {
  const all = spellings(flag);
  const others = flag.repeatable ? "*" : all.length > 1 ? `(${all.join(" ")})` : "";
  const text = `[${flag.short.replace(/[[\]\\]/g, "\\$&")}]`;
  if (!takesValue(flag)) return all.map((each) => others + each + text);
  const { words, files } = flag.suggestions;
  const action = words.length === 0
    ? files ? "_files" : " "
    : files
    ? zshFunction(flag)
    : `(${words.map((word) => word.replaceAll(":", "\\:")).join(" ")})`;
  const value = `:${flag.placeholder}:${action}`;
  return all.map((each) => others + each + (each.startsWith("--") ? "=" : "+") + text + value);
}

function fishScript(): string {
  const quotedForFish = (text: string) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const commands = ALL_COMMANDS.map((command) =>
    `complete -c pg2kinesis -n __pg2kinesis_no_command -a ${command} ` +
    `-d ${quotedForFish(COMMAND_TEXTS[command])}\n`
  );
  const flagLines = flagList.map((flag) => {
    const { words, files } = flag.suggestions;
    const value = takesValue(flag) ? files ? " -r -F" : " -x" : "";
    return "complete -c pg2kinesis " +
      `-n ${quotedForFish(`__pg2kinesis_is ${flag.commands.join(" ")}`)}` +
      `${flag.letter === undefined ? "" : ` -s ${flag.letter}`} -l ${flag.name}${value}` +
      `${words.length === 0 ? "" : ` -a ${quotedForFish(words.join(" "))}`}` +
      ` -d ${quotedForFish(flag.short)}\n`;
  });
  return `\
# fish completions of pg2kinesis. To have them in every session:
#   pg2kinesis completions fish > ~/.config/fish/completions/pg2kinesis.fish

function __pg2kinesis_command
    set -l is_value false
    for word in (commandline -opc)[2..-1]
        if $is_value
            set is_value false
        else if contains -- $word ${flagList.filter(takesValue).flatMap(spellings).join(" ")}
            set is_value true
        else if contains -- $word ${ALL_COMMANDS.join(" ")}
            echo $word
            return
        end
    end
end

function __pg2kinesis_no_command
    test -z (__pg2kinesis_command)
end

function __pg2kinesis_is
    set -l command (__pg2kinesis_command)
    test -n "$command"; or set command ${COMMANDS[0]}
    contains -- $command $argv
end

complete -c pg2kinesis -f
${commands.join("")}${flagLines.join("")}\
complete -c pg2kinesis -n '__pg2kinesis_is ${TEXT_COMMANDS.join(" ")}' -l help -d 'print help'
complete -c pg2kinesis -n '__pg2kinesis_is completions' -a '${SHELLS.join(" ")}'
`;
}
