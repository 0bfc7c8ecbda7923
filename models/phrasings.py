"""Lists the ways to ask each question: one table per question, one phrasing per line.

The first line of a table is the plainest. `data` fills in the braces.
"""


def ways(text: str) -> tuple[str, ...]:
    """Split a table into its lines without their indent. \\n becomes a line break."""
    return tuple(line.strip().replace("\\n", "\n") for line in text.strip().splitlines())


ADD = ways(r"""
    What is {a} + {b}?
    What is {a} plus {b}?
    What's {a} + {b}?
    {a} + {b}
    {a}+{b}
    {a} + {b} =
    {a}+{b}=?
    {a} plus {b}
    Add {a} and {b}.
    Add {b} to {a}.
    Compute {a} + {b}.
    Calculate {a} + {b}.
    How much is {a} + {b}?
    How much is {a} plus {b}?
    What is the sum of {a} and {b}?
    Sum {a} and {b}.
""")
SUBTRACT = ways(r"""
    What is {a} - {b}?
    What is {a} minus {b}?
    What's {a} - {b}?
    {a} - {b}
    {a}-{b}
    {a} - {b} =
    {a}-{b}=?
    {a} minus {b}
    Subtract {b} from {a}.
    Take {b} from {a}.
    Compute {a} - {b}.
    Calculate {a} - {b}.
    How much is {a} - {b}?
    How much is {a} minus {b}?
    What is the difference of {a} and {b}?
""")
MULTIPLY = ways(r"""
    What is {a} * {b}?
    What is {a} times {b}?
    What's {a} x {b}?
    {a} * {b}
    {a}*{b}
    {a} x {b} =
    {a}*{b}=?
    {a} times {b}
    Multiply {a} by {b}.
    Multiply {a} and {b}.
    Compute {a} * {b}.
    Calculate {a} * {b}.
    How much is {a} times {b}?
    What is the product of {a} and {b}?
""")
DIVIDE = ways(r"""
    What is {a} / {b}?
    What is {a} divided by {b}?
    {a} / {b}
    {a}/{b}
    {a} / {b} =
    Divide {a} by {b}.
    Compute {a} / {b}.
    How much is {a} divided by {b}?
    How many times does {b} go into {a}?
""")
ADD_THREE_NUMBERS = ways(r"""
    What is {a} + {b} + {c}?
    {a} + {b} + {c}
    {a}+{b}+{c}
    Add {a}, {b} and {c}.
""")
ADD_WORDS = ways(r"""
    What is {a} plus {b}?
    {a} plus {b}
    Add {a} and {b}.
    How much is {a} plus {b}?
""")
STORY_MORE = ways(r"""
    {name} has {a} {thing}s and gets {b} more. How many {thing}s does {name} have?
    There are {a} {thing}s. {name} brings {b} more. How many are there now?
    {name} buys {a} {thing}s and then {b} more. How many {thing}s is that?
""")
STORY_LESS = ways(r"""
    {name} has {a} {thing}s and gives {b} away. How many {thing}s are left?
    There are {a} {thing}s. {name} takes {b}. How many are left?
    {name} had {a} {thing}s and lost {b}. How many {thing}s does {name} have?
""")
DOUBLE = ways(r"""
    What is twice {a}?
    Double {a}.
    What is double {a}?
    What is 2 times {a}?
""")
HALF = ways(r"""
    What is half of {a}?
    Halve {a}.
    What is half {a}?
    How much is half of {a}?
""")
LARGER = ways(r"""
    Which is larger, {a} or {b}?
    Which number is larger, {a} or {b}?
    Which is bigger: {a} or {b}?
    What is larger, {a} or {b}?
    Which is greater, {a} or {b}?
    Is {a} or {b} larger?
    Larger: {a} or {b}?
""")
SMALLER = ways(r"""
    Which is smaller, {a} or {b}?
    Which number is smaller, {a} or {b}?
    Which is less: {a} or {b}?
    What is smaller, {a} or {b}?
    Is {a} or {b} smaller?
    Smaller: {a} or {b}?
""")
IS_LARGER = ways(r"""
    Is {a} larger than {b}?
    Is {a} greater than {b}?
    Is {a} more than {b}?
""")
IS_SMALLER = ways(r"""
    Is {a} smaller than {b}?
    Is {a} less than {b}?
""")
LARGEST = ways(r"""
    What is the largest of {a}, {b} and {c}?
    Which is the largest: {a}, {b}, {c}?
    Largest of {a}, {b}, {c}?
""")
SMALLEST = ways(r"""
    What is the smallest of {a}, {b} and {c}?
    Which is the smallest: {a}, {b}, {c}?
    Smallest of {a}, {b}, {c}?
""")
SORT = ways(r"""
    Sort {a}, {b}, {c}.
    Sort these numbers: {a}, {b}, {c}
    Put {a}, {b}, {c} in order.
""")
EVEN_OR_ODD = ways(r"""
    Is {n} even or odd?
    Is {n} odd or even?
    Even or odd: {n}?
""")
IS_EVEN = ways(r"""
    Is {n} even?
    Is {n} an even number?
""")
IS_ODD = ways(r"""
    Is {n} odd?
    Is {n} an odd number?
""")
NUMBER_AFTER = ways(r"""
    What comes after {n}?
    Which number comes after {n}?
    What is the number after {n}?
""")
NUMBER_BEFORE = ways(r"""
    What comes before {n}?
    Which number comes before {n}?
    What is the number before {n}?
""")
NEXT_IN_ROW = ways(r"""
    What comes next: {row}?
    Continue: {row}
    What is the next number: {row}?
""")
COUNT_DOWN = ways(r"""
    Count down from {b} to {a}.
    Count from {b} down to {a}.
""")
COUNT_UP = ways(r"""
    Count from {a} to {b}.
    Count {a} to {b}.
    List the numbers from {a} to {b}.
""")
COUNT_FROM_ONE = ways(r"""
    Count to {b}.
    Count up to {b}.
""")
IN_WORDS = ways(r"""
    Write {n} in words.
    How do you write {n} in words?
    {n} in words
    Spell out {n}.
""")
IN_DIGITS = ways(r"""
    Write {n} in digits.
    Write {n} as a number.
    {n} in digits
    Which number is {n}?
""")
LOGARITHM = ways(r"""
    What is log10 of {n}?
    What is log10({n})?
    log10({n})
    log10 {n}
    What is the common logarithm of {n}?
    What is the logarithm of {n} to base 10?
    Compute log10({n}).
    common logarithm of {n}
""")
CHECK = ways(r"""
    Is {a} + {b} = {c}?
    Is it true that {a} + {b} = {c}?
    Is {a} + {b} equal to {c}?
    Check: {a} + {b} = {c}
    Question: What is {a} + {b}?\nAnswer: {c}\nIs the answer right?
    Question: {a} + {b}\nAnswer: {c}\nIs this correct?
    Grade this. {a} + {b} = {c}
    True or false: {a} + {b} = {c}?
""")
DAY_AFTER = ways(r"""
    What day comes after {day}?
    Which day is after {day}?
    What is the day after {day}?
    What weekday follows {day}?
    If today is {day}, what day is tomorrow?
    Today is {day}. What is tomorrow?
""")
DAY_BEFORE = ways(r"""
    What day comes before {day}?
    Which day is before {day}?
    What is the day before {day}?
    If today is {day}, what day was yesterday?
    Today is {day}. What was yesterday?
""")
DAYS_AFTER_DAY = ways(r"""
    What day is {n} days after {day}?
    Which weekday is {n} days after {day}?
    Today is {day}. What day is it in {n} days?
    {n} days after {day}
    If today is {day}, what day is it in {n} days?
""")
MONTH_AFTER = ways(r"""
    What month comes after {month}?
    Which month is after {month}?
    What is the month after {month}?
    Which month follows {month}?
""")
MONTH_BEFORE = ways(r"""
    What month comes before {month}?
    Which month is before {month}?
    What is the month before {month}?
""")
MONTH_BY_NUMBER = ways(r"""
    What is the {nth} month?
    Which month is the {nth}?
    What is month {n}?
    What is the {nth} month of the year?
    Which month is number {n}?
""")
NUMBER_OF_MONTH = ways(r"""
    Which number is {month}?
    What number is the month {month}?
    Which month of the year is {month}?
""")
DAYS_IN_FEBRUARY = ways(r"""
    How many days are in February {year}?
    How many days does February {year} have?
    How many days did February have in {year}?
""")
DAYS_IN_MONTH = ways(r"""
    How many days are in {month}?
    How many days does {month} have?
    How many days are there in {month}?
    Days in {month}?
    How long is {month}?
""")
LEAP_YEAR = ways(r"""
    Is {year} a leap year?
    Was {year} a leap year?
    Leap year: {year}?
    Is the year {year} a leap year?
""")
DAYS_AFTER_DATE = ways(r"""
    What date is {n} days after {day}?
    Which date is {n} days after {day}?
    What is the date {n} days after {day}?
    {day} plus {n} days
    {n} days after {day}
""")
WEEKDAY_OF_DATE = ways(r"""
    What weekday is {date}?
    Which day of the week is {date}?
    What day is {date}?
    What day of the week was {date}?
""")
CONVERT = ways(r"""
    How many {targets} are in {count} {sources}?
    How many {targets} are {count} {sources}?
    Convert {count} {sources} to {targets}.
    {count} {sources} in {targets}
    {count} {sources} to {targets}
    What is {count} {sources} in {targets}?
""")
SPELL = ways(r"""
    Spell {word}.
    Spell the word {word}.
    How do you spell {word}?
    How is {word} spelled?
    Spell {word} letter by letter.
    Spell: {word}
    Spell {word} with hyphens.
""")
SPELL_SPACED = ways(r"""
    Spell {word} with spaces.
    Put spaces between the letters of {word}.
    Write {word} with spaces between the letters.
    Space out {word}.
""")
JOIN_LETTERS = ways(r"""
    Which word is {letters}?
    What word is {letters}?
    What does {letters} spell?
    Join the letters {letters}.
""")
REVERSE = ways(r"""
    Reverse {word}.
    Reverse the word {word}.
    Write {word} backwards.
    What is {word} backwards?
    Spell {word} backwards.
    What is {word} reversed?
""")
COUNT_LETTERS = ways(r"""
    How many letters are in {word}?
    How many letters does {word} have?
    Count the letters in {word}.
    How long is the word {word}?
    What is the length of {word}?
    How many letters are in the word {word}?
""")
COUNT_ONE_LETTER = ways(r"""
    How many {letter}'s are in {word}?
    How many times is {letter} in {word}?
    How often is the letter {letter} in {word}?
    Count the letter {letter} in {word}.
    How many times does {letter} appear in {word}?
""")
LETTER_AT = ways(r"""
    What is the {place} letter of {word}?
    What is the {place} letter in {word}?
    Which letter is the {place} in {word}?
    Give me the {place} letter of {word}.
    {place} letter of {word}
""")
UPPERCASE = ways(r"""
    Write {word} in capital letters.
    Write {word} in uppercase.
    Uppercase {word}.
    Put {word} in capitals.
    What is {word} in capitals?
""")
CAPITALIZE = ways(r"""
    Capitalize {word}.
    Write {word} with a capital letter.
""")
LOWERCASE = ways(r"""
    Write {word} in small letters.
    Write {word} in lowercase.
    Lowercase {word}.
""")
NUMBER_OF_LETTER = ways(r"""
    Which number is the letter {letter}?
    What is the position of {letter} in the alphabet?
""")
LETTER_BY_NUMBER = ways(r"""
    What is letter number {n}?
    Which letter is number {n} of the alphabet?
""")
LETTER_AFTER = ways(r"""
    What letter comes after {letter}?
    Which letter follows {letter}?
    What is the letter after {letter}?
""")
LETTER_BEFORE = ways(r"""
    What letter comes before {letter}?
    Which letter is before {letter}?
    What is the letter before {letter}?
""")
COPY = ways(r"""
    Repeat: {text}
    Repeat after me: {text}
    Say: {text}
    Echo: {text}
    Repeat {text}
    Say {text}
    Echo {text}
    Write {text}
    Copy this: {text}
    Repeat this: {text}
    Say "{text}"
    Repeat "{text}"
    Repeat exactly: {text}
    repeat after me\n{text}
""")
CAPITAL = ways(r"""
    What is the capital of {country}?
    What's the capital of {country}?
    Which city is the capital of {country}?
    Capital of {country}?
    Name the capital of {country}.
""")
POEM = ways(r"""
    Write a poem about a {thing}.
    Write a short poem about a {thing}.
    A poem about a {thing}, please.
    Write a haiku about a {thing}.
    Tell me a story about a {thing}.
""")
MY_NAME_IS = ways(r"""
    My name is {name}.
    I am {name}.
    Hello, I'm {name}.
    Call me {name}.
""")
WHO_AM_I = ways(r"""
    What is my name?
    Who am I?
    Do you remember my name?
    What's my name?
""")
ADD_TO_IT = ways(r"""
    Add {n}.
    Now add {n}.
    Plus {n}?
    And {n} more?
    + {n}
""")
SUBTRACT_FROM_IT = ways(r"""
    Subtract {n}.
    Now subtract {n}.
    Minus {n}?
    Take away {n}.
    - {n}
""")
SPELL_SHORTLY = ways(r"""
    Spell {word}.
    Spell the word {word}.
""")
SAY_SHORTLY = ways(r"""
    Repeat {word}.
    Say {word}.
""")
ITS_FIRST_LETTER = ways(r"""
    What is its first letter?
    And the first letter?
""")
ITS_LAST_LETTER = ways(r"""
    What is its last letter?
    And the last letter?
""")
ITS_LENGTH = ways(r"""
    How many letters is that?
    How many letters does it have?
""")
ITS_CAPITALS = ways(r"""
    Now in capitals.
    Write it in capital letters.
""")
SAY_AGAIN = ways(r"""
    Say it again.
    Repeat the word.
    Which word was that?
""")
